"""Metrics on features, images and codes; each is usable alone, on NumPy arrays."""

from keras_bld.metrics.calibration import (
    CalibrationCurve,
    calibration_curve,
    mean_and_error,
)
from keras_bld.metrics.classifier import (
    build_classifier,
    classification_accuracy_score,
    feature_extractor,
    train_classifier,
)
from keras_bld.metrics.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite_maps,
    efficientnet_lite_network,
)
from keras_bld.metrics.features import (
    FeatureNetwork,
    application_network,
    extract_features,
    feature_statistics,
)
from keras_bld.metrics.frechet import frechet_distance, frechet_distance_error
from keras_bld.metrics.image_quality import lpips, psnr, ssim
from keras_bld.metrics.inception import inception_fid
from keras_bld.metrics.inception_score import inception_score
from keras_bld.metrics.kernel import kernel_distance
from keras_bld.metrics.manifold import density_coverage, precision_recall
from keras_bld.metrics.neighbors import (
    NeighborSearch,
    hamming_nearest_neighbors,
    nearest_neighbors,
)
from keras_bld.metrics.statistics import StreamingStatistics

__all__ = [
    "CalibrationCurve",
    "FeatureNetwork",
    "NeighborSearch",
    "StreamingStatistics",
    "application_network",
    "build_classifier",
    "calibration_curve",
    "classification_accuracy_score",
    "density_coverage",
    "efficientnet_lite0",
    "efficientnet_lite_maps",
    "efficientnet_lite_network",
    "extract_features",
    "feature_extractor",
    "feature_statistics",
    "frechet_distance",
    "frechet_distance_error",
    "hamming_nearest_neighbors",
    "inception_fid",
    "inception_score",
    "kernel_distance",
    "lpips",
    "mean_and_error",
    "nearest_neighbors",
    "precision_recall",
    "psnr",
    "ssim",
    "train_classifier",
]
