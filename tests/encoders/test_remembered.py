"""What is kept with a tensor is worked out again when the tensor changes."""

import torch

from wsgraph_encoders.messages.remembered import Remembered


def test_a_changed_tensor_is_another_tensor():
    seen = []

    def total(tensor):
        seen.append(tensor.clone())
        return float(tensor.sum())

    remembered, whole = Remembered(total), torch.arange(6.0).reshape(1, 6)
    assert remembered(whole[0]) == remembered(whole[0]) == 15
    assert len(seen) == 1, "views of the same numbers"
    assert remembered(whole[0, ::2]) == 6, "as long, elsewhere, or in other steps: other numbers"
    assert remembered(whole[0, :3]) == 3
    row = whole[0]
    assert remembered(row) == 15
    row[0] = 1.0
    assert remembered(row) == 16
    whole.add_(1)
    assert remembered(row) == 22
    with torch.inference_mode():
        assert remembered(torch.ones(2)) == 2, "nobody counts changes of these"
    assert len(seen) == 7
