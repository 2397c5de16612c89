// The form for those who are not logged in.

const form = document.querySelector("#login"), wrong = document.querySelector("#wrong");
const button = form.querySelector("button");

form.addEventListener("submit", async event => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form));
  button.disabled = true;
  wrong.textContent = "";
  try {
    const answer = await fetch("login", { method: "POST", body: fields });
    if (answer.ok) return location.replace("./" + location.hash); // the room
    wrong.textContent = answer.status === 401 ? "This name and password do not belong together."
      : `The server answered with ${answer.status}.`;
  } catch {
    wrong.textContent = "The server cannot be reached.";
  }
  button.disabled = false;
  form.elements.password.select();
});
button.disabled = false; // only now a password goes nowhere else
