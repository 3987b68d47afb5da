"""The numbers that a recipe leaves in metrics.json."""

import numpy as np

from keras_bld.data import load_arrays, random_subset
from keras_bld.evaluation.samples import asked_labels
from keras_bld.metrics import classification_accuracy_score, psnr
from keras_bld.training.pictures import sampling

_NUM_LIKELIHOOD_IMAGES = 256
_LARGEST_IN_MEMORY = 20_000


def evaluate(model, recipe, conditions, train, held_out):
    """Reconstruction PSNR and likelihood on held-out images; CAS for conditional models.

    Args:
        model: a trained `BinaryLatentDiffusion` with its autoencoder.
        recipe: its `Recipe`.
        conditions: its `LabelConditions`; of a text model, images for the classification accuracy
            score are asked for with wordings that it has not seen.
        train: source of the training images (for the classifier trained on real images).
        held_out: source of images that no model has seen.

    Returns:
        Dictionary of plain numbers and strings, ready for JSON.
    """
    images, labels = _arrays(held_out, recipe)
    reconstructions = model.autoencoder.reconstruct(images)
    few = images[:_NUM_LIKELIHOOD_IMAGES]
    asked = conditions.as_arguments(conditions.trained(labels[: len(few)]))
    bound = model.likelihood(model.autoencoder.encode(few), **asked, seed=recipe.seed)
    metrics = {
        "num_held_out_images": len(images),
        "reconstruction_psnr_db": round(float(np.mean(psnr(images, reconstructions))), 3),
        "bits_per_image": int(np.prod(model.code_shape)),
        "likelihood_bits_per_dimension": round(float(bound["bits_per_dimension"].mean()), 5),
        "num_likelihood_images": len(few),
        "sampling": model.sampling.to_dict(),
        "seed": recipe.seed,
    }
    if conditions.num_classes:
        metrics.update(_accuracy_scores(model, recipe, conditions, train, images, labels))
    return metrics


def _accuracy_scores(model, recipe, conditions, train, images, labels):
    """Two classifiers, alike but for what they learn from: generated and real images."""
    made_labels = asked_labels(conditions, recipe.num_evaluation_images)
    settings = sampling(recipe, conditions, made_labels, unseen=True)
    made = model.generate(len(made_labels), **settings)
    real_images, real_labels = _arrays(train, recipe)

    def accuracy(train_images, train_labels):
        score = classification_accuracy_score(
            train_images,
            train_labels,
            images,
            labels,
            conditions.num_classes,
            epochs=recipe.evaluation_epochs,
            seed=recipe.seed,
        )
        return round(score["top_1"], 4)

    generated = accuracy(made, made_labels)
    real = accuracy(real_images, real_labels)
    return {
        "classification_accuracy_score": generated,
        "accuracy_of_real_training_images": real,
        "share_of_real_accuracy": round(generated / max(real, 1e-9), 4),
        "num_generated_images": len(made),
        "num_real_training_images": len(real_images),
    }


def _arrays(source, recipe):
    limit = _LARGEST_IN_MEMORY
    if recipe.smoke:
        limit = 64 if recipe.image_size <= 64 else 8
    if len(source) > limit:
        source = random_subset(source, limit, seed=recipe.seed)
    return load_arrays(source)
