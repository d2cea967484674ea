"""Files of strangers become checked tables: GGUF and safetensors, and nothing that can run code."""

from limpide.formats.base import Checkpoint, TensorInfo
from limpide.formats.gguf import GGUF, read_gguf
from limpide.formats.opening import open_checkpoint
from limpide.formats.safetensors import Safetensors

__all__ = ["GGUF", "Checkpoint", "Safetensors", "TensorInfo", "open_checkpoint", "read_gguf"]
