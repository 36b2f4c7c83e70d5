"""What the first blocks of a backbone cost."""

import pytest

from tfft.backbones.build import build_backbone
from tfft.backbones.split import multiply_adds
from tfft.config.model import ApplicationBackbone


def test_multiply_adds_of_blocks_add_up_to_those_that_were_published():
    config = ApplicationBackbone(kind="application", name="MobileNet", weights="random")
    backbone = build_backbone(config, 224, seed=0)
    by_block = [multiply_adds(backbone, blocks) for blocks in range(len(backbone.blocks) + 1)]
    assert by_block[0] == 0
    assert by_block[1] == 112 * 112 * 3 * 3 * 3 * 32
    assert by_block == sorted(by_block)
    # Howard et al. 2017: 569 million, with the classifier's million.
    assert by_block[-1] == pytest.approx(568e6, rel=0.005)
