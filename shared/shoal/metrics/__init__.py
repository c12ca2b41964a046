"""What the daemons count and measure, and how Prometheus reads it. Nothing here knows what is measured."""
