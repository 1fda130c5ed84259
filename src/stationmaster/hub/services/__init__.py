"""What the hub decides. Each function works inside one transaction that its caller opened."""
