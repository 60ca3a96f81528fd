"""The query language: parsing, what its fields mean in SQL, and completion while typing."""
