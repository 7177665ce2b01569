"""The low-rank adapter that every trainer here puts on a model, written once."""

from collections.abc import Sequence
from typing import Any

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings


def configuration(
    settings: Settings, model: Any, dropout: float = 0.0, layers: Sequence[int] | None = None
) -> Any:
    """Return PEFT's configuration of rank `lora_rank` on every linear map but the last.

    The maps are listed by name, since PEFT refuses `layers` beside its own "all-linear".

    Parameters
    ----------
    settings : Settings
        Rank and alpha: the adapter's change is alpha / rank times B A.
    model : PreTrainedModel
        The model to be adapted; only the names of its modules are read.
    dropout : float
        Of the adapter's input. 0 where old and new log-probabilities must share one mask.
    layers : sequence of int, optional
        Layers that get an adapter; all of them by default.
    """
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, lora_dropout=dropout,
        target_modules=linear_names(model), task_type="CAUSAL_LM",
        layers_to_transform=None if layers is None else list(layers),
    )  # fmt: skip


def linear_names(model: Any) -> list[str]:
    """Return the names, within a layer, of all linear maps but the one onto the vocabulary.

    Raises
    ------
    InvalidInputError
        Where there is none.
    """
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    last = model.get_output_embeddings()
    names = {
        path.rsplit(".", 1)[-1]
        for path, module in model.named_modules()
        if isinstance(module, Linear | Conv1D) and module is not last
    }
    if not names:
        rule, fix = "has no linear map that an adapter could change", "use a transformer"
        raise InvalidInputError("model", type(model).__name__, rule, fix)
    return sorted(names)
