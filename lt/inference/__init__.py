"""What a trained run is used for: transcription, synthesis, paths through the latent space.

Imports neither data, build nor training: an application can ship without them.
"""
