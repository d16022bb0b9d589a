"""The files: moves that never lose or replace, ownership, the journal, the ways back."""
