"""Side-by-side ratios: each contestant is timed in turn, in one process, and medians are compared.

python -m benchmarks.training      images/s of training against a plain loop and other libraries
python -m benchmarks.inference     onnxruntime against eager PyTorch
python -m benchmarks.loading       a prepared folder against the PNG pairs
python -m benchmarks.metric        the confusion matrix against torchmetrics and a training step
python -m benchmarks.gpu_loop      the whole loop against the same step on data in GPU memory
"""
