"""Who used what: runs, windows, device accounts, and the picture of them that a scrape sees."""
