"""The version of a rollout that did not answer an event scores it, too, in a process of its own."""
