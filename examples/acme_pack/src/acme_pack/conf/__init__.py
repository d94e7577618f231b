"""The YAML of this package: one component a file, in the folder of its group."""
