"""INR2JLS: its parts against facts, its variants, and that it learns."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from wsgraph_encoders import DNGConfig, collate
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.inr2jls import (
    INR2JLS,
    VIEWS,
    FeatureMapClassifier,
    INR2JLSConfig,
    MemoryClassifier,
    view_of,
)
from wsgraph_encoders.inrs import Siren, canonical, fit_sirens, psnr, render, unstack

TINY = INR2JLSConfig(
    DNGConfig(frequencies=6, hidden=8), (2, 2), spatial=4, generator_hidden=8, latent=3, decoder_hidden=5
)
VARIANTS = ("views", "plain", "noise", "no_generator", "weights", "positions", "activations")


def siren_stream(seed: int = 0, channels: int = 1) -> wsgraph.EventStream:
    torch.manual_seed(seed)
    return wsgraph.compile(Siren(hidden=6, channels=channels), "1x2")


def images_of(count: int, size: int = 8) -> Tensor:
    """Smooth images in [0, 1]."""
    row, column = torch.meshgrid(*[torch.linspace(0, 1, size)] * 2, indexing="ij")
    phases = torch.arange(count).view(-1, 1, 1)
    return 0.5 + 0.5 * torch.sin(3 * row + 5 * column * (phases % 3) + phases)


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_rotations_and_flips(view):
    image = torch.tensor([[1, 2], [3, 4]])
    clockwise = {
        "image": [[1, 2], [3, 4]],
        "rotated_90": [[3, 1], [4, 2]],
        "rotated_180": [[4, 3], [2, 1]],
        "rotated_270": [[2, 4], [1, 3]],
        "flipped_horizontally": [[2, 1], [4, 3]],
        "flipped_vertically": [[3, 4], [1, 2]],
    }
    assert view_of(image, view).tolist() == clockwise[view]


def test_the_views_are_six_different_ones():
    image = torch.arange(16).view(4, 4)
    assert len({tuple(view_of(image, view).flatten().tolist()) for view in VIEWS}) == 6
    with pytest.raises(EncoderError, match="no view"):
        view_of(image, "mirrored")


@pytest.mark.parametrize("colour", [False, True])
def test_the_papers_sizes(colour):
    """App. G.1.2: 294 or 384 spatial vectors, a map of 7 x 7 x 768 or 8 x 8 x 768, images of 28 or 32."""
    config, channels = INR2JLSConfig.paper(colour=colour), 3 if colour else 1
    model = INR2JLS(wsgraph.compile(Siren(channels=channels), "1x2"), config)
    assert tuple(model.generator.places.shape) == ((384 if colour else 294), 512)
    stream = wsgraph.compile(Siren(channels=channels), "1x2")
    with torch.no_grad():
        out = model(collate([stream]))
    side = 8 if colour else 7
    assert out.features.shape == (1, 768, side, side)
    assert out.images.shape == (1, 6, channels, 4 * side, 4 * side)
    kernel = model.decoder.layers[0]
    assert (kernel.in_channels, kernel.out_channels) == (128, 256)
    logits = FeatureMapClassifier(768, config.grid, 10)(out.features)
    assert logits.shape == (1, 10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_reconstructs_and_has_features_for_a_classifier(variant):
    config = TINY.variant(variant)
    torch.manual_seed(0)
    model = INR2JLS(siren_stream(), config)
    batch = collate([siren_stream(), siren_stream(1)])
    out = model(batch)
    assert out.images.shape == (2, len(config.views), 1, 8, 8)
    loss = model.loss(batch, images_of(2).unsqueeze(1))
    loss.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert all("tags" in name for name in silent), silent  # a SIREN has no learned edges
    features = model.features(batch)
    if out.features is None:
        assert features.shape == (2, model.memory_width)
    else:
        assert features.shape == (2, len(config.views) * 3, 2, 2)


def test_the_first_linear_map_is_that_of_a_concatenation():
    """Eq. 7 as it is written: φ_g of the memory joined with each spatial vector."""
    torch.manual_seed(0)
    model = INR2JLS(siren_stream(), TINY)
    memory = torch.randn(3, 8)
    generator = model.generator
    maps = generator(memory)
    first = torch.cat([generator.from_memory.weight, generator.from_place.weight], 1)
    for view in range(6):
        for row in range(2):
            for column in range(2):
                place = generator.places[(view * 2 + row) * 2 + column]
                joined = torch.cat([memory, place.expand(3, -1)], 1)
                latent = generator.out((joined @ first.t() + generator.from_memory.bias).relu())
                assert torch.allclose(maps[:, view, :, row, column], latent, atol=1e-6)


def test_the_loss_is_the_mean_over_all_views():
    torch.manual_seed(0)
    model, batch, images = INR2JLS(siren_stream(), TINY), collate([siren_stream()]), images_of(1).unsqueeze(1)
    shown = model(batch).images
    errors = [(shown[:, i] - view_of(images, view)).square().mean() for i, view in enumerate(VIEWS)]
    assert torch.allclose(model.loss(batch, images), torch.stack(errors).mean())
    with pytest.raises(EncoderError, match="expected images"):
        model.loss(batch, images[..., :4])


def test_permuted_hidden_neurons_change_nothing():
    torch.manual_seed(0)
    model, plain = INR2JLS(siren_stream(), TINY).double(), siren_stream()
    weights = {name: tensor.double() for name, tensor in plain.state_dict().items()}
    order = torch.randperm(6)
    permuted = dict(weights)
    permuted["layers.1.weight"] = weights["layers.1.weight"][order]
    permuted["layers.1.bias"] = weights["layers.1.bias"][order]
    permuted["layers.2.weight"] = weights["layers.2.weight"][:, order]
    a, b = (model(collate([plain.bind(w)])) for w in (weights, permuted))
    assert torch.allclose(a.features, b.features, rtol=1e-10, atol=1e-12)
    assert torch.allclose(a.images, b.images, rtol=1e-10, atol=1e-12)


def test_noise_is_added_to_images_and_in_training_only():
    """Gaussian noise of 0.06 on what is reconstructed adds its variance to the error (App. G.3)."""
    torch.manual_seed(0)
    model, batch = INR2JLS(siren_stream(), TINY.variant("noise")), collate([siren_stream()])
    images = torch.rand(1, *model(batch).images.shape[2:])
    noisy = torch.stack([model.loss(batch, images) for _ in range(30)])
    model.eval()
    clean = model.loss(batch, images)
    assert torch.equal(clean, model.loss(batch, images))
    assert float((noisy.mean() - clean).detach()) == pytest.approx(0.06**2, rel=0.2)


def test_inr_inr_makes_sirens_whose_pictures_it_shows():
    torch.manual_seed(0)
    model = INR2JLS(siren_stream(), TINY.variant("weights"))
    memory = torch.randn(2, model.memory_width)
    stacked = model.decoder.stacked(memory)
    module = Siren(hidden=6)
    module.load_state_dict(unstack(stacked)[1])
    points = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    corners = module(points).squeeze(-1)
    shown = model.decoder(memory)[1, 0, 0]
    assert torch.allclose(corners, torch.stack([shown[0, 0], shown[-1, -1]]), atol=1e-5)
    other = wsgraph.compile(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), "1x2")
    with pytest.raises(EncoderError, match="INR-INR"):
        INR2JLS(other, TINY.variant("weights"))


def test_it_learns_to_show_what_sirens_hold():
    images = images_of(6)
    stacked = fit_sirens(images, seed=0, steps=150, hidden=6)
    plain = siren_stream()
    batch = collate([plain.bind(state) for state in unstack(stacked)])
    torch.manual_seed(0)
    model = INR2JLS(plain, replace(TINY, encoder=DNGConfig(frequencies=8, hidden=32), latent=8))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    targets = images.unsqueeze(1)
    constant = float((targets - targets.mean(0)).square().mean())  # the best that ignores the network
    for _ in range(120):
        optimiser.zero_grad()
        model.loss(batch, targets).backward()
        optimiser.step()
    assert model.loss(batch, targets).item() < 0.5 * constant


def test_other_architectures_with_per_kind_parameters():
    torch.manual_seed(0)
    model = INR2JLS(siren_stream(), TINY, per_kind=True)
    deeper = wsgraph.compile(Siren(hidden=5, layers=5), "1x2")
    assert model(collate([siren_stream(), deeper])).images.shape == (2, 6, 1, 8, 8)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"views": ("mirrored",)}, "views"),
        ({"views": ()}, "views"),
        ({"grid": (2, 3)}, "square"),
        ({"target": "weights"}, "spatial vectors"),
        ({"latent": 0}, "positive"),
    ],
)
def test_senseless_configurations(changes, match):
    with pytest.raises(EncoderError, match=match):
        replace(TINY, **changes)
    with pytest.raises(EncoderError, match="no variant"):
        TINY.variant("none")


def test_classifiers_of_the_paper():
    """App. G.1.2: two convolutions and a three-layer MLP, hidden 256, dropout 0.5."""
    model = FeatureMapClassifier(768, (7, 7), 10)
    kinds = [type(m).__name__ for m in model.modules() if not list(m.children())]
    assert kinds.count("Conv2d") == 2
    assert kinds.count("Linear") == 3
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.5}
    assert MemoryClassifier(6, 4)(torch.zeros(3, 6)).shape == (3, 4)


def test_sirens_are_reproducible_and_independent_of_their_company():
    images = images_of(5)
    whole = fit_sirens(images, seed=3, steps=20, hidden=6, chunk=2)
    again = fit_sirens(images, seed=3, steps=20, hidden=6, chunk=2)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    piece = fit_sirens(images[3:], seed=3, steps=20, hidden=6, first=3)
    for name, tensor in piece.items():
        assert torch.allclose(whole[name][3:], tensor, atol=1e-3)
    other = fit_sirens(images, seed=4, steps=0, hidden=6)
    start = fit_sirens(images, seed=3, steps=0, hidden=6)
    assert not torch.equal(other["layers.0.weight"], start["layers.0.weight"])
    assert not torch.equal(start["layers.0.weight"][0], start["layers.0.weight"][1])


def test_a_stacked_siren_is_the_module():
    images = images_of(2)
    stacked = fit_sirens(images, steps=200)
    assert float(psnr(stacked, images).min()) > 30
    module = Siren()
    module.load_state_dict(unstack(stacked)[1])
    points = torch.rand(7, 2) * 2 - 1
    assert torch.allclose(module(points), render(stacked, points)[1], atol=1e-5)
    with pytest.raises(EncoderError, match="images"):
        fit_sirens(images[0])


def test_canonical_sirens_show_the_same_and_have_no_symmetry_left():
    stacked = {name: tensor.double() for name, tensor in fit_sirens(images_of(3), steps=5, hidden=6).items()}
    found = canonical(stacked)
    points = (torch.rand(20, 2) * 2 - 1).double()
    assert torch.allclose(render(found, points), render(stacked, points), atol=1e-12)
    for layer in (0, 1):
        bias = found[f"layers.{layer}.bias"]
        assert 0 <= float(bias.min()) <= float(bias.max()) <= math.pi / 2 / 20 + 1e-12
    # The same networks by another route: signs and phases of the first layer changed by hand.
    signs = torch.tensor([1.0, -1, 1, -1, -1, 1]).double()
    turns = torch.tensor([0.0, 1, -3, 2, 5, 4]).double()
    other = dict(stacked)
    other["layers.0.weight"] = stacked["layers.0.weight"] * signs.view(-1, 1)
    other["layers.0.bias"] = stacked["layers.0.bias"] * signs + turns * math.pi / 20
    other["layers.1.weight"] = stacked["layers.1.weight"] * signs * (-1.0) ** turns
    assert torch.allclose(render(other, points), render(stacked, points), atol=1e-12)
    for name, tensor in canonical(other).items():
        assert torch.allclose(tensor, found[name], atol=1e-9), name


def test_colour_images():
    images = torch.stack([images_of(2), images_of(2).flip(-1), 1 - images_of(2)], 1)
    stacked = fit_sirens(images, steps=200)
    assert stacked["layers.2.weight"].shape == (2, 3, 32)
    assert float(psnr(stacked, images).min()) > 25
