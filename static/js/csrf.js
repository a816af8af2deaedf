// The CSRF token, from its cookie: signing in again in another tab changes it. The page says what the cookie is called: behind https
// it has a prefix, with which no other host of the domain can set it.
export function csrfToken() {
  const name = `${document.body.dataset.csrfCookie}=`;
  return document.cookie.split("; ").find((cookie) => cookie.startsWith(name))?.slice(name.length) ?? "";
}
