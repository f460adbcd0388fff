"""What lives on a model hub: named, looked for in the local cache, asked for over the network."""
