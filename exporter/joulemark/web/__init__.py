"""Who is let in, and by which door: listeners, TLS, credentials, browsers, slow clients."""
