"""Reading a store: rows and keys, columns, pixels."""
