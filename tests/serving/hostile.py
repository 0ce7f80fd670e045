"""A text that does harm where it is taken for HTML."""

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> <script>document.title='owned'</script> lovely & \"so\""
