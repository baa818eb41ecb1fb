"""Every metric: one entry with direction, unit, range and source; imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from harness.metrics.metric import Metric

FAMILIES: Mapping[str, Metric] = MappingProxyType(
    {
        m.name: m
        for m in (
            Metric(
                name="fid",
                function="harness.metrics.frechet:fid",
                better="lower",
                unit="squared feature distance",
                range=(0.0, math.inf),
                scale="log",
                citation="Heusel 2017, arXiv:1706.08500, eq. 6",
                note="biased upwards, the more the fewer the images: compare at equal counts, and with the floor",
            ),
            Metric(
                name="kid",
                function="harness.metrics.kid:kid",
                better="lower",
                unit="squared maximum mean discrepancy",
                range=(-math.inf, math.inf),
                citation="Binkowski 2018, arXiv:1801.01401, section 4",
                note="unbiased, so it may be below 0 for equal distributions",
            ),
            Metric(
                name="precision",
                function="harness.metrics.neighbours:precision",
                better="higher",
                unit="share of generated images",
                range=(0.0, 1.0),
                citation="Kynkaanniemi 2019, arXiv:1904.06991, eq. 2",
                note="share of generated images within the real manifold (5 neighbours)",
            ),
            Metric(
                name="recall",
                function="harness.metrics.neighbours:recall",
                better="higher",
                unit="share of real images",
                range=(0.0, 1.0),
                citation="Kynkaanniemi 2019, arXiv:1904.06991, eq. 2",
                note="share of real images within the generated manifold (5 neighbours)",
            ),
            Metric(
                name="density",
                function="harness.metrics.neighbours:density",
                better="higher",
                unit="real neighbourhoods per generated image, of 5",
                range=(0.0, math.inf),
                citation="Naeem 2020, arXiv:2002.09797, eq. 4",
                note="1 is expected for equal distributions; above 1 the samples crowd where the data is dense",
            ),
            Metric(
                name="coverage",
                function="harness.metrics.neighbours:coverage",
                better="higher",
                unit="share of real images",
                range=(0.0, 1.0),
                citation="Naeem 2020, arXiv:2002.09797, eq. 5",
                note="share of real images with a generated one in their neighbourhood (5 neighbours)",
            ),
        )
    }
)
FEATURES: Mapping[str, str | None] = MappingProxyType(
    {"efficientnet": None, "efficientnet_print": None, "inception": "inception", "ocr": "ocr", "random": None}
)


def on_features(features: str, family: str) -> Metric:
    """Return a metric family on one set of features: ``fid`` and ``ocr`` to ``fid_ocr``."""
    joint = "@" if ":" in features else "_"
    name = f"{family}{joint}{features}"
    return replace(FAMILIES[family], name=name, features=features, extra=FEATURES.get(features))


OTHERS = (
    Metric(
        name="inception_score",
        function="harness.metrics.inception_score:inception_score",
        better="higher",
        unit="effective number of classes",
        range=(1.0, 1000.0),
        features="inception",
        extra="inception",
        citation="Salimans 2016, arXiv:1606.03498, section 4",
        note="of the generated images alone, by ImageNet's classes: says little about other data",
    ),
    Metric(
        name="character_accuracy",
        function="harness.metrics.character_accuracy:character_accuracy",
        better="higher",
        unit="share of generated images",
        range=(0.0, 1.0),
        needs="characters",
        extra="ocr",
        citation="PP-OCRv6 recognition, in the package rapidocr 3.10",
        note="share read as the wanted character; characters that the network does not know are left out",
    ),
    Metric(
        name="ssim",
        function="harness.metrics.ssim:ssim",
        better="higher",
        unit="mean SSIM",
        range=(-1.0, 1.0),
        needs="pairs",
        citation="Wang 2004, doi:10.1109/TIP.2003.819861, eq. 13",
        note="scikit-image, 11x11 Gaussian of sigma 1.5, population covariance, on [0, 1], borders of 5 pixels cropped",
    ),
    Metric(
        name="ms_ssim",
        function="harness.metrics.ms_ssim:ms_ssim",
        better="higher",
        unit="mean multi-scale SSIM",
        range=(0.0, 1.0),
        needs="pairs",
        citation="Wang 2003, doi:10.1109/ACSSC.2003.1292216, eq. 7",
        note="five scales, so images must be larger than 160 pixels",
    ),
    Metric(
        name="ssim_ink",
        function="harness.metrics.ssim_ink:ssim_ink",
        better="higher",
        unit="mean SSIM within the ink",
        range=(-1.0, 1.0),
        needs="pairs",
        citation="Wang 2004, doi:10.1109/TIP.2003.819861, eq. 13, averaged over strokes and 2 pixels around them",
        note="empty background, equal in both images, does not count",
    ),
    Metric(
        name="l1",
        function="harness.metrics.l1:l1",
        better="lower",
        unit="mean absolute difference on [0, 1]",
        range=(0.0, 1.0),
        needs="pairs",
        citation="mean absolute error",
    ),
    Metric(
        name="rmse",
        function="harness.metrics.rmse:rmse",
        better="lower",
        unit="root mean squared difference on [0, 1]",
        range=(0.0, 1.0),
        needs="pairs",
        citation="root of the mean squared error over all pixels of all pairs",
    ),
    Metric(
        name="psnr",
        function="harness.metrics.psnr:psnr",
        better="higher",
        unit="decibel",
        range=(0.0, 58.92),
        needs="pairs",
        citation="Huynh-Thu 2008, doi:10.1049/el:20080522",
        note="from the mean squared error over all pairs; at most 58.92 dB, the rounding to 8 bits",
    ),
    Metric(
        name="lpips",
        function="harness.metrics.lpips:lpips",
        better="lower",
        unit="mean LPIPS distance",
        range=(0.0, math.inf),
        needs="pairs",
        extra="lpips",
        citation="Zhang 2018, arXiv:1801.03924, eq. 1, AlexNet, version 0.1",
        note="images smaller than 64 pixels are enlarged to 64",
    ),
    Metric(
        name="ssim_diversity",
        function="harness.metrics.ssim_diversity:ssim_diversity",
        better="lower",
        unit="mean SSIM of pairs of generated images",
        range=(-1.0, 1.0),
        citation="Fedus 2017, arXiv:1710.08446, section 3; SSIM in place of MS-SSIM",
        note="1 is full collapse; the floor is that of the real images, below which lower is no longer better",
    ),
    Metric(
        name="checkerboard",
        function="harness.metrics.spectrum:checkerboard",
        better="lower",
        unit="times the power of white noise",
        range=(0.0, math.inf),
        scale="log",
        needs="pairs",
        citation="Odena 2016, doi:10.23915/distill.00003; Durall 2020, arXiv:2003.01826",
        note="power of the error at multiples of a quarter of the sampling rate, Nyquist among them: what "
        "up-sampling by 2 and by 4 leaves; 1 for white noise",
    ),
    Metric(
        name="high_frequency_ratio",
        function="harness.metrics.spectrum:high_frequency_ratio",
        better="higher",
        unit="power of generated / power of real images",
        range=(0.0, math.inf),
        scale="log",
        citation="Durall 2020, arXiv:2003.01826; power above half the Nyquist frequency",
        note="sharpness: 1 is the real images' own, below is softer; above 1 it is grain, and higher is not better",
    ),
    Metric(
        name="recognisability",
        function="harness.metrics.recognisability:recognisability",
        better="higher",
        unit="share of generated images",
        range=(0.0, 1.0),
        needs="read pairs",
        citation="a classifier of three convolutions, trained on the study's own real images on named streams",
        note="share read as the wanted character among the measured ones, in any script; blind to style",
    ),
    Metric(
        name="shift_error_g",
        function="harness.metrics.networks:shift_error_g",
        better="lower",
        unit="mean absolute difference on [0, 1]",
        range=(0.0, 1.0),
        needs="networks",
        citation="Zhang 2019, arXiv:1904.11486: shift-equivariance, here over shifts of 1 to 4 pixels",
        note="between the drawing of a shifted source and the shifted drawing; of generators that redraw a source",
    ),
    Metric(
        name="shift_error_d",
        function="harness.metrics.networks:shift_error_d",
        better="lower",
        unit="sd of the logits of real images",
        range=(0.0, math.inf),
        needs="networks",
        citation="Zhang 2019, arXiv:1904.11486: shift-invariance, here of the logit, shifts of 1 to 4 pixels",
    ),
    Metric(
        name="logit_map_variation",
        function="harness.metrics.networks:logit_map_variation",
        better="lower",
        unit="mean difference of neighbours / sd",
        range=(0.0, math.inf),
        needs="networks",
        citation="total variation (Rudin 1992, doi:10.1016/0167-2789(92)90242-F) of the discriminator's last map",
        note="on real images; white noise has 1.13, a checkerboard 2, smooth maps less; smooth is not good in itself",
    ),
    Metric(
        name="d_category_accuracy",
        function="harness.metrics.networks:d_category_accuracy",
        better="higher",
        unit="share of real held-out images",
        range=(0.0, 1.0),
        needs="networks",
        citation="accuracy of the discriminator's head for styles",
        note="the floor is the share of the commonest style",
    ),
    Metric(
        name="d_high_frequency_accuracy",
        function="harness.metrics.networks:d_high_frequency_accuracy",
        better="higher",
        unit="share of real held-out images",
        range=(0.0, 1.0),
        needs="networks",
        citation="probability of superiority of a real image over itself under a checkerboard of ±8/255",
        note="0.5: the discriminator does not see fine noise; 1: it always does. Seeing it is not good in itself",
    ),
    Metric(
        name="dead_units_g",
        function="harness.metrics.networks:dead_units_g",
        better="lower",
        unit="share of channels",
        range=(0.0, 1.0),
        needs="networks",
        citation="Maas 2013, Rectifier nonlinearities improve neural network acoustic models",
        note="channels before an activation that are above 0 nowhere, on no measured item",
    ),
    Metric(
        name="dead_units_d",
        function="harness.metrics.networks:dead_units_d",
        better="lower",
        unit="share of channels",
        range=(0.0, 1.0),
        needs="networks",
        citation="Maas 2013, Rectifier nonlinearities improve neural network acoustic models",
        note="the same in the discriminator, on real held-out images",
    ),
    Metric(
        name="nearest_neighbour_ratio",
        function="harness.metrics.nearest_neighbour:nearest_neighbour_ratio",
        better="higher",
        unit="distance to training images / distance to held-out images",
        range=(0.0, math.inf),
        needs="train",
        features="efficientnet",
        citation="Stein 2023, arXiv:2306.04675, section 4: data copying by nearest neighbours",
        note="about 1: no nearer to what was trained on than to what was not; clearly below 1: memorised",
    ),
)
