"""The planner without a bus: `shoal plan`."""
