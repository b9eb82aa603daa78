"""From a request to a picture: plan, paint, upscale, edit. Importing the package needs no torch."""
