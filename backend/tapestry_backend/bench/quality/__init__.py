"""`tapestry bench quality`: what pictures are worth."""
