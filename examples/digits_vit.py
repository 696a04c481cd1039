"""Train a small ViT on scikit-learn's digits and write it to a file: a model that no zoo has seen.

python examples/digits_vit.py new_model.pt2
"""

import sys

import torch
from torch.nn import functional

from wsgraph.zoo.models.vit import SimpleViT
from wsgraph.zoo.training.images import load_images

STEPS, BATCH = 300, 64


def main() -> None:
    """Train, print the test accuracy, write the model as an exported program."""
    torch.manual_seed(0)
    images = load_images("digits")
    model = SimpleViT(
        image_size=8,
        patch_size=2,
        num_classes=10,
        channels=1,
        dim=24,
        depth=2,
        heads=2,
        dim_head=8,
        mlp_dim=48,
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(STEPS):
        picked = torch.randint(len(images.train), (BATCH,))
        loss = functional.cross_entropy(model(images.train[picked]), images.train_labels[picked])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        found = model(images.test).argmax(1)
    accuracy = float((found == images.test_labels).double().mean())
    path = sys.argv[1]
    torch.export.save(torch.export.export(model.eval(), (images.test[:1],)), path)
    print(f"wrote {path}: a ViT whose test accuracy is {accuracy:.3f}")


if __name__ == "__main__":
    main()
