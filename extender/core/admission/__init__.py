"""What is done to pods when they are created: scheduler, tolerations and preferred node affinity."""
