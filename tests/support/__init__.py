"""What tests share: doubles, worlds to decide in, and what runs on a control plane."""
