"""The service: a preset over HTTP, from OpenVINO's graphs, without Keras."""
