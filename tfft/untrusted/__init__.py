"""Files of strangers: what they may hold, checked before a library reads them."""
