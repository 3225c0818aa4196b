"""Many runs from one command: how they are launched, and the report of what came out."""
