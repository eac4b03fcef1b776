"""The CPU device: native code through LLVM, its thread pool, and the walker of its command lists."""
