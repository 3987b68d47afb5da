"""Tells Schemathesis what the format "picture" of the service's schemas is.

All pictures have one size, because a mask must have that of its image, which no schema can say.
"""

import schemathesis
from hypothesis import strategies
from serving.service.sent_pictures import picture

schemathesis.openapi.format("picture", strategies.integers(0, 100).map(picture))
