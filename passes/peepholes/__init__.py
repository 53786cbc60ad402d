"""The rules of the peephole pass, by what they are about."""
