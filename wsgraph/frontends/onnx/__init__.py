"""ONNX models: every operator maps onto the ATen operator that it means (DESIGN section 3)."""
