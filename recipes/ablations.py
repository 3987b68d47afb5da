"""The paper's comparisons in small: Tables 4, 5 and 7, Figure 7, and the noise schedules.

Every row is trained with the same sizes and steps; all rows of stage 2 share one binary
autoencoder and one store of its codes. What is trained already is not trained again, and an
interrupted command goes on.

    python recipes/ablations.py table4 --data FASHION_MNIST_FOLDER     # bottlenecks
    python recipes/ablations.py table5 --data FASHION_MNIST_FOLDER     # priors
    python recipes/ablations.py table7 --data FASHION_MNIST_FOLDER     # lambda and targets
    python recipes/ablations.py figure7 --data FASHION_MNIST_FOLDER    # T = 256, fewer steps
    python recipes/ablations.py schedules --data FASHION_MNIST_FOLDER
    python recipes/ablations.py table5 --data PHOTOS --image-size 64 --image-channels 3

Distances are on features of a classifier of the same images, trained first; they are no FID.
"""

from keras_bld.ablations import ablations_command

if __name__ == "__main__":
    ablations_command(description=__doc__)
