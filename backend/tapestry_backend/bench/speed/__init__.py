"""`tapestry bench speed`: how long pictures take."""
