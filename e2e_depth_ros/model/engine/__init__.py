"""What runs a network: torch, ONNX Runtime or OpenVINO. Nothing here but `torch_engine` imports torch."""
