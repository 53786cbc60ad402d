"""What a program is made of: arguments, modules, the state it keeps, its own tensor classes."""
