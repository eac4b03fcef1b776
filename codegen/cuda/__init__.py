"""CUDA C from the loop IR."""

from codegen.cuda.emitter import LaunchShape, emit_cuda, launch_shape

__all__ = ["LaunchShape", "emit_cuda", "launch_shape"]
