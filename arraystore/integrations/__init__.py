"""Ways from a store into other libraries."""
