"""Hugging Face's attention mask, before the export: what it leaves out is lowered by a constant."""

from typing import Any

from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.rewrites.softmax_mask import MASKED

REASON = (
    "the model's own mask is looked up position by position (Range, GatherND, Where with -3.4e38), which compilers for "
    "NPUs refuse or run on the host's CPU: (1 - mask) * -10000, broadcast over heads and rows, adds the same to every "
    "score that counts"
)


def with_additive_mask(model: Any) -> Any:
    """Return a module that hands its `attention_mask` `[batch, length]` on to the model as scores to be added."""
    torch = imported("torch")

    class Additive(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, attention_mask: Any, **inputs: Any) -> Any:
            # [batch, 1, 1, length] against the scores' [batch, heads, length, length]
            left_out = 1.0 - attention_mask[:, None, None, :].to(torch.float32)
            return self.model(attention_mask=left_out * -MASKED, **inputs)

    return Additive().eval()
