import inspect

import pytest
from harness import PROJECT_ROOT, run_in_new_process

pytestmark = pytest.mark.on_tensorflow


def test_ctrl_c_is_no_crash_after_two_models_came_and_went():
    pytest.importorskip("openvino")
    program = f"""
        import gc, signal, sys
        sys.path.insert(0, {str(PROJECT_ROOT / "tests")!r})
        from small_models import random_codes, small_autoencoder

        models = [small_autoencoder(), small_autoencoder()]
        codes = random_codes(2, code_shape=models[0].code_shape)
        for model in models:
            model.compile_for_inference()
            model.decode(codes)
        del model
        while models:
            del models[0]
            gc.collect()
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run_in_new_process(inspect.cleandoc(program), "torch").strip() == "interrupted"
