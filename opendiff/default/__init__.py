"""The model `default`: level and shape of a week, a linear prior, a denoiser and a few-step sampler."""
