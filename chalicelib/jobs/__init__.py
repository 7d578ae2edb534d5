"""Work that is too long for a request, and exports."""
