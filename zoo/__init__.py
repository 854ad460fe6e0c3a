"""Further architectures and losses, one readable file each, equal to the field's references."""
