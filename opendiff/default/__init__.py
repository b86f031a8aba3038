"""The model `default`: level and shape of a week, a linear prior, a denoiser and a few-step sampler.

To read: `representation`, `prior`, `denoiser`, `sampler`, and `model`, which joins them; then how they are fitted:
`prior_fit`, `training`, `pack_training`.
"""
