"""Exchange adapters: one package each, the same file names in every one."""
