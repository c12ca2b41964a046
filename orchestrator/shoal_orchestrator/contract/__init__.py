"""The bus as a contract: documents that are generated from the classes of its messages (`python -m` writes them)."""
