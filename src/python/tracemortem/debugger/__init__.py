"""What the debuggers' front ends share. Runs in a debugger's Python, never in the traced process."""
